"""What runs inside one party's process. Importing anything below here may import SecretFlow (seconds)."""
