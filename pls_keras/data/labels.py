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
