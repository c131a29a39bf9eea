"""One file a vendor: its tables (vendor.Vendor) and the functions that read its answers. No I/O and no state."""
