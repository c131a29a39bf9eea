"""What is derived from a run folder for people and machines: HTML, JUnit XML, JSON."""
