"""What an administrator of a cluster needs: doctor, jobs, metrics, shared storage."""
