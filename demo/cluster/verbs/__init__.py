"""What is done with objects: a function for each verb."""
