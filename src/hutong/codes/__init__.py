"""Personal codes (一码通): signed ahead, shown from the device, verified with no network."""
