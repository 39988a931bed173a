"""What makes a framework's developers feel at home. Each module needs its framework, no other."""
