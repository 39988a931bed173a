"""Who may pass: the decision, its options, and the object that users hold."""
