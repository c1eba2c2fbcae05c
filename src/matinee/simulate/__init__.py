"""Made-up viewers of known taste, with a predictability dial."""
