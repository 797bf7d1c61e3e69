"""What people do: one function an act; a service never commits."""
