"""Network emulators."""
