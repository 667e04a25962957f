"""The front page and the guides are true: their code runs, their names exist."""
