"""Made-up titles: pleasant, distinct, and the same for the same seed."""

from __future__ import annotations

import numpy as np

ADJECTIVES = tuple(
    """
    Amber Ancient Autumn Borrowed Brave Bright Broken Burning Careful Clever Copper Crooked Crystal
    Curious Distant Drifting Early Electric Emerald Empty Endless Faithful Fallen Final First Floating
    Forgotten Gentle Gilded Golden Grateful Hidden Hollow Honest Hungry Idle Invisible Iron Ivory Jolly
    Kind Last Laughing Little Lonely Lucky Midnight Modest Narrow Northern Only Painted Paper Patient
    Perfect Plain Quiet Restless Royal Salted Scarlet Second Secret Silent Silver Sleeping Slow Southern
    Stolen Stubborn Summer Sunken Tender Thirteenth Velvet Wandering Western Whispering Wild Winter
    Wooden Young
    """.split()  # noqa: SIM905 - words read better as prose
)

NOUNS = tuple(
    """
    Accordion Actress Almanac Apprentice Archive Balloon Baker Ballad Beekeeper Bicycle Bookshop Bridge
    Brother Captain Carousel Cartographer Castle Cellist Circus Clockmaker Comet Compass Concierge Cook
    Courier Crane Daughter Detective Dictionary Diver Dragonfly Driver Echo Elephant Engine Falcon Ferry
    Fiddler Fisherman Fox Gardener Ghost Glacier Glassblower Guest Harbour Harvest Heron Hotel House
    Inheritance Inspector Island Journey Juggler Key Kingdom Kitchen Lamplighter Lantern Letter
    Librarian Lighthouse Locksmith Magician Map Meadow Melody Merchant Mirror Moon Mountain Museum
    Neighbour Nightingale Notebook Observatory Orchard Orchestra Painter Parade Passenger Pharmacist
    Piano Picnic Pilot Planet Postcard Promise Puzzle Raincoat Recipe River Robot Rose Sailor Satellite
    Season Shadow Sister Snowfall Staircase Stranger Swimmer Tailor Teacher Theatre Tiger Trumpet Tunnel
    Umbrella Valley Violin Voyage Wager Waltz Watchmaker Wedding Whale Window Witness Zeppelin
    """.split()  # noqa: SIM905 - words read better as prose
)

PLACES = tuple(
    """
    Alderbrook Ashford Bellmare Birchwood Bluewater Brackenfell Calderon Cinderhill Clearwater Coldbrook
    Coralquay Dunmoor Eastmere Elmstead Fairhaven Fernhill Glasswick Greyport Harrowby Hazelton Highmoor
    Juniper Kestrel Lindenau Longshore Marlow Mirefield Nettlecross Northlight Oakhurst Pebblebeach
    Pineridge Quarryside Ravensby Redwater Rosemont Saltmarsh Silverdale Stillwater Stonebridge Sundown
    Thistledown Tidewater Underhill Violetfield Westering Willowend Wintersea Yarrowgate Zephyrbay
    """.split()  # noqa: SIM905 - words read better as prose
)

GENRES = (
    "Adventure",
    "Animation",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Family",
    "Fantasy",
    "History",
    "Horror",
    "Music",
    "Mystery",
    "Romance",
    "Science Fiction",
    "Thriller",
    "Western",
)

_PATTERNS = (
    "The {adjective} {noun}",
    "{adjective} {noun}",
    "The {noun} of {place}",
    "{noun} in {place}",
    "{place} {noun}",
    "My {adjective} {noun}",
)


def titles(n: int, random: np.random.Generator) -> list[str]:
    """Distinct titles, n of them; beyond what the words can make, sequels are numbered."""
    pattern = random.integers(0, len(_PATTERNS), n)
    words = {"adjective": ADJECTIVES, "noun": NOUNS, "place": PLACES}
    made = [""] * n
    for which, template in enumerate(_PATTERNS):
        slots = [name for name in words if f"{{{name}}}" in template]
        first, second = (words[name] for name in slots)
        rows = [int(row) for row in (pattern == which).nonzero()[0]]
        picked = random.permutation(len(first) * len(second))
        for position, row in enumerate(rows):
            sequel, code = divmod(position, len(picked))
            a, b = divmod(int(picked[code]), len(second))
            title = template.format(**{slots[0]: first[a], slots[1]: second[b]})
            made[row] = title if sequel == 0 else f"{title} {sequel + 1}"
    return made
