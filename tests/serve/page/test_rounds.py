"""A round of the friend challenge from its beginning to the score, as two browsers send it."""

import re

import pytest

ROUND = re.compile(r"id=([\w-]+)")


def begin(site, user):
    answer = site.post("/challenge", {"user": user})
    assert answer.status_code == 303
    page = site.get(answer.headers["location"]).text
    link = re.search(r"/challenge/friend\?link=([\w-]+)", page).group(1)
    return ROUND.search(answer.headers["location"]).group(1), link


def unseen(site, user, n):
    seen = {event.item for event in site.events_of(user)}
    return [f"i{place:03d}" for place in range(1, 201) if f"i{place:03d}" not in seen][:n]


def picked(site, link, items):
    for item in items:
        answer = site.post("/challenge/friend", {"link": link, "pick": item})
        assert answer.status_code == 303, answer.text
    return site.get("/challenge/friend", link=link).text


def test_a_round_from_beginning_to_end(site):
    one, link = begin(site, "v010")
    assert "0 of 10" in site.get("/challenge/round", id=one).text.replace("\n", " ")
    ten = unseen(site, "v010", 10)
    assert "These are my ten" in picked(site, link, ten)
    assert (
        site.post("/challenge/friend", {"link": link, "pick": unseen(site, "v010", 11)[-1]}).status_code
        == 409
    )
    taken_out = site.post("/challenge/friend", {"link": link, "unpick": ten[0]})
    assert "9 of 10 picked" in site.get(taken_out.headers["location"]).text
    assert site.post("/challenge/friend", {"link": link, "finish": "yes"}).status_code == 409
    picked(site, link, ten[:1])
    site.post("/challenge/friend", {"link": link, "finish": "yes"})
    assert "Your ten are in" in site.get("/challenge/friend", link=link).text

    blind = site.get("/challenge/round", id=one).text
    shuffled = re.findall(r'name="item" value="([^"]+)"', blind)
    assert set(ten) <= set(shuffled)
    assert 10 < len(shuffled) <= 20
    assert "because you watched" not in blind
    theirs = [item for item in shuffled if item not in ten]
    site.post("/challenge/round", {"id": one, "item": [*theirs[:4], *ten[:1]]})
    result = site.get("/challenge/round", id=one).text
    told = re.search(r'class="verdict">matinee (\d+), your friend (\d+)\.', result)
    hits = [int(told.group(1)), int(told.group(2))]
    assert hits in ([4, 1], [5, 1])
    assert result.count("you would watch it") == sum(hits)
    # What was said first stays.
    site.post("/challenge/round", {"id": one, "item": ten})
    assert site.get("/challenge/round", id=one).text == result
    score = site.get("/challenge").text
    assert "After 1 round " in score
    assert "<svg" in score


def test_what_was_watched_cannot_be_picked(site):
    _, link = begin(site, "v011")
    seen = site.events_of("v011")[-1].item
    assert site.post("/challenge/friend", {"link": link, "pick": seen}).status_code == 409
    assert site.post("/challenge/friend", {"link": link, "pick": "none"}).status_code == 404


def test_who_is_unknown_has_no_round_yet(site):
    answer = site.post("/challenge", {"user": "somebody new"})
    assert answer.status_code == 400
    assert "knows nothing of this viewer" in answer.text


def test_marking_waits_for_the_friend(site):
    one, link = begin(site, "v012")
    assert site.post("/challenge/round", {"id": one, "item": ["i001"]}).status_code == 409
    assert site.get("/challenge/round", id=link).status_code == 404
    assert site.get("/challenge/friend", link=one).status_code == 404


@pytest.mark.parametrize("words", ["the", "zzzz"])
def test_a_friend_searches_by_title(site, words):
    _, link = begin(site, "v013")
    text = site.get("/challenge/friend", link=link, q=words).text
    assert ('name="pick"' in text) == (words == "the")
