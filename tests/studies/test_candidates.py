from math import inf

from eyespot.studies.candidates import Candidate, best_candidate, result_sentence, search_page

OWN = Candidate(None, {}, 0.03, {1: 0.02, 2: 0.03, 3: 0.04})


def test_the_lowest_median_wins():
    """Not the lowest of all: one lucky seed is no reason, and one that diverged counts as the worst."""
    lucky = Candidate(4, {"training.epochs": 3}, 0.001, {1: 0.0001, 2: 0.05, 3: 0.06})
    steady = Candidate(7, {"training.epochs": 4}, 0.02, {1: 0.025, 2: 0.01, 3: inf})
    assert best_candidate([OWN, lucky, steady]) is steady
    told = result_sentence([OWN, lucky, steady], 12)
    assert "The best of 12 trials has a median validation loss of 0.0250 over the seeds 1, 2, 3" in told
    assert "the recipe itself 0.0300" in told
    assert "lower with 1 of the 3 seeds" in told
    assert steady.to_dict()["val_losses"] == {"1": 0.025, "2": 0.01, "3": None}


def test_nothing_better_is_said_plainly():
    """Where no median is lower, an equal one included, the recipe itself stays."""
    equal = Candidate(4, {"training.epochs": 3}, 0.001, OWN.losses)
    assert best_candidate([OWN, equal]) is OWN
    assert result_sentence([OWN, equal], 5).startswith("Nothing better was found in 5 trials")
    assert "no other training was completed" in result_sentence([OWN], 2)
    assert "No test data was\nused" in search_page("t", "here", "told", [OWN, equal], "searched")
