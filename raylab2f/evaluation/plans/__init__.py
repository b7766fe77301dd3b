"""Who trains, who chooses the threshold, who is judged: fold plans, the i.i.d. check."""
