"""What tests use: blocks that must give back what they take, and the pytest plugin that judges each test."""
