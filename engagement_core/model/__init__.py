"""The values of the domain. They decide nothing and depend on nothing outside."""
