"""The processes that runs train in: started, kept warm, forked, given their payload; their crashes reported."""
