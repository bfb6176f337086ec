"""``streamchar serve``: a page on localhost on which a character says what is typed."""
