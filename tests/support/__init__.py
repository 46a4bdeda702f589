"""What tests stand on: builders of values, servers, processes, tables and providers."""
