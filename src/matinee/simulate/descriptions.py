"""Made-up descriptions: a sentence a title, of words that its scene is fond of and words that any may have.

A scene has a dozen words of its own out of two hundred; other scenes share some of them. So words
tell what a title is like about as well as those of a real catalogue: not from one, but from several.
"""

from __future__ import annotations

import numpy as np

from matinee.core.types import Int32

WORDS = tuple(
    """
    acrobats amnesia antiques apples archives arson ballet banks bees bells betrayal blackmail blizzards
    boarding boats bohemians bread bribes brothers canals candles caravans castaways caves chess choirs
    circuses cities clocks coal codes colonies comets cooking coral courts cowboys curses cyclists dancers
    debts deserts detectives diamonds diaries divorce doctors dogs dragons dreams drought duels elections
    elephants engines exile exorcists explorers factories falcons farms fathers festivals fires floods
    football forests forgery fortunes foxes frontiers futures gamblers gardens ghosts glaciers gold guitars
    harbours heists hermits holidays homecoming horses hospitals hotels hunters illusions inheritance
    innocence insects inventors islands jazz journalists juries kings kitchens knights labyrinths lawyers
    legends letters libraries lighthouses lions lotteries machines magicians maps markets marriages masks
    mathematics mercenaries mines mirrors missionaries monks monsters mothers motorbikes mountains murder
    museums neighbours nightclubs oceans oil orphans outlaws painters palaces parades photographs pilots
    pirates plagues planets poison politics portraits prisons prophets puppets quarrels rain rebels
    refugees restaurants revenge rivers robots ruins sailors scandals schools secrets shepherds shipwrecks
    sisters smugglers snow soldiers songs spaceships spies storms strikes submarines summers swindlers
    tailors teachers temples theatres thieves trains treasure trials tribes twins tyrants vampires villages
    vineyards violins visions volcanoes waiters warriors weddings whales widows winters witches wolves
    """.split()  # noqa: SIM905 - words read better as prose
)
SCENE_WORDS = 12
IN_ONE = 6  # words of a description
OWN_SHARE = 0.6  # of them are of the scene's own


def descriptions(scene: Int32, random: np.random.Generator) -> list[str]:
    """One sentence a title.

    Args:
        scene: int32, shape (titles,): the scene of each.
        random: draws the words of scenes and titles.
    """
    n_scenes = int(scene.max(initial=-1)) + 1
    favoured = np.argsort(random.random((n_scenes, len(WORDS))), axis=1)[:, :SCENE_WORDS]
    own = np.argsort(random.random((len(scene), SCENE_WORDS)), axis=1)[:, :IN_ONE]
    any_word = random.integers(0, len(WORDS), (len(scene), IN_ONE))
    is_own = random.random((len(scene), IN_ONE)) < OWN_SHARE
    picked = np.where(is_own, favoured[scene[:, None], own], any_word)
    return [_sentence(list(dict.fromkeys(row))) for row in picked.tolist()]


def _sentence(codes: list[int]) -> str:
    words = [WORDS[code] for code in codes]
    if len(words) < 2:
        return f"A story of {words[0]}."
    return f"A story of {', '.join(words[:-1])} and {words[-1]}."
