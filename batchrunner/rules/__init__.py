"""The ground floor: pure functions that decide. No disk, no net, no clock."""
