"""Known faults at known doses, and how every metric answers them."""
