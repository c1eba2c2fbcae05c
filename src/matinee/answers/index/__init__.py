"""Large catalogues: the items with the largest products, found without a look at all of them."""
