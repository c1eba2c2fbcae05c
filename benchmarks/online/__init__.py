"""What serving.py measures with: a server as a process, clients, and one file for each kind of claim."""
