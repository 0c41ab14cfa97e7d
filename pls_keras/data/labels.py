"""The classes of each data set, in the order of its official files, and how they group."""

DIGIT_LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

# Digits that look alike when written by hand.
DIGIT_LOOKALIKES = {
    "zero": "loop",
    "one": "stroke",
    "two": "stroke",
    "three": "curves",
    "four": "open top",
    "five": "curves",
    "six": "loop",
    "seven": "stroke",
    "eight": "curves",
    "nine": "open top",
}

CIFAR10_LABELS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

CIFAR10_KINDS = {
    label: "vehicle" if label in ("airplane", "automobile", "ship", "truck") else "animal"
    for label in CIFAR10_LABELS
}

_CIFAR100_MEMBERS = {
    "aquatic_mammals": "beaver dolphin otter seal whale",
    "fish": "aquarium_fish flatfish ray shark trout",
    "flowers": "orchid poppy rose sunflower tulip",
    "food_containers": "bottle bowl can cup plate",
    "fruit_and_vegetables": "apple mushroom orange pear sweet_pepper",
    "household_electrical_devices": "clock keyboard lamp telephone television",
    "household_furniture": "bed chair couch table wardrobe",
    "insects": "bee beetle butterfly caterpillar cockroach",
    "large_carnivores": "bear leopard lion tiger wolf",
    "large_man-made_outdoor_things": "bridge castle house road skyscraper",
    "large_natural_outdoor_scenes": "cloud forest mountain plain sea",
    "large_omnivores_and_herbivores": "camel cattle chimpanzee elephant kangaroo",
    "medium_mammals": "fox porcupine possum raccoon skunk",
    "non-insect_invertebrates": "crab lobster snail spider worm",
    "people": "baby boy girl man woman",
    "reptiles": "crocodile dinosaur lizard snake turtle",
    "small_mammals": "hamster mouse rabbit shrew squirrel",
    "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
    "vehicles_1": "bicycle bus motorcycle pickup_truck train",
    "vehicles_2": "lawn_mower rocket streetcar tank tractor",
}

# Each of the 100 classes in official, that is alphabetical, order, and its superclass.
CIFAR100_SUPERCLASSES = dict(
    sorted(
        (label, superclass)
        for superclass, members in _CIFAR100_MEMBERS.items()
        for label in members.split()
    )
)

# Nouns of WordNet 3.0 that mean what the pictures show: the first sense of the label, but for these. Those
# of CIFAR-100 are leaves of its tree: of a whale and a dolphin, say, none may be a kind of the other.
_OTHER_SENSES = {
    "aquarium_fish": "goldfish.n.01",
    "automobile": "car.n.01",
    "beaver": "beaver.n.07",
    "bowl": "bowl.n.03",
    "castle": "castle.n.02",
    "cloud": "cloud.n.02",
    "dolphin": "dolphin.n.02",
    "flatfish": "flatfish.n.02",
    "forest": "forest.n.02",
    "girl": "girl.n.02",
    "lamp": "lamp.n.02",
    "leopard": "leopard.n.02",
    "lobster": "lobster.n.02",
    "maple_tree": "maple.n.02",
    "mushroom": "mushroom.n.05",
    "otter": "otter.n.02",
    "plate": "plate.n.04",
    "raccoon": "raccoon.n.02",
    "ray": "ray.n.07",
    "seal": "seal.n.09",
    "shrew": "shrew.n.02",
    "skunk": "skunk.n.04",
    "sweet_pepper": "sweet_pepper.n.02",
    "table": "table.n.02",
    "television": "television.n.03",
    "tiger": "tiger.n.02",
    "trout": "trout.n.02",
    "turtle": "turtle.n.02",
    "whale": "baleen_whale.n.01",
}
CIFAR10_SYNSETS = {label: _OTHER_SENSES.get(label, f"{label}.n.01") for label in CIFAR10_LABELS}
CIFAR100_SYNSETS = {label: _OTHER_SENSES.get(label, f"{label}.n.01") for label in CIFAR100_SUPERCLASSES}

# Section 7 lists these in this order.
TEC_LABELS = ("joy", "sadness", "surprise", "fear", "anger", "disgust")
CBET_LABELS = (
    "anger",
    "surprise",
    "joy",
    "love",
    "sadness",
    "fear",
    "disgust",
    "guilt",
    "thankfulness",
)
ISEAR_LABELS = ("joy", "fear", "anger", "sadness", "disgust", "shame", "guilt")

_GOEMOTIONS_MEMBERS = {
    "anger": "anger annoyance disapproval",
    "disgust": "disgust",
    "fear": "fear nervousness",
    "joy": "admiration amusement approval caring desire excitement gratitude joy love optimism "
    "pride relief",
    "sadness": "disappointment embarrassment grief remorse sadness",
    "surprise": "confusion curiosity realization surprise",
}

# The 27 emotions of Figure 1, in official order, without "neutral", and Ekman's group of each.
GOEMOTIONS_EKMAN = dict(
    sorted((label, group) for group, members in _GOEMOTIONS_MEMBERS.items() for label in members.split())
)
GOEMOTIONS_LABELS = tuple(GOEMOTIONS_EKMAN)

# Ekman's groups within the sentiments of Demszky et al. (2020); "joy" and "surprise" are sentiments whole.
_SENTIMENTS = {"joy": ("positive",), "surprise": ("ambiguous",)}
GOEMOTIONS_TREE = {
    label: _SENTIMENTS.get(group, ("negative", group)) for label, group in GOEMOTIONS_EKMAN.items()
}
