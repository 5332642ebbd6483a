"""What is said of a parent of other classes."""

from data_engine.trainers.carried import carried


def test_the_same_classes_in_any_order_are_not_worth_a_word() -> None:
    assert carried(("person", "helmet"), ("helmet", "person")) == ""


def test_classes_that_are_kept_new_and_lost_are_named() -> None:
    assert carried(("car", "person"), ("person", "cone")) == (
        "the parent knows 2 classes of its own; carried over by name: person; new: cone; dropped: car"
    )
    assert carried(("car",), ("cone",)) == (
        "the parent knows 1 class of its own; none is carried over; new: cone; dropped: car"
    )


def test_long_lists_are_cut() -> None:
    said = carried([str(number) for number in range(80)], ["0"])
    assert said.endswith("carried over by name: 0; dropped: 1, 2, 3, 4, 5 and 74 more")
