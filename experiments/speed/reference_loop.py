"""The tutorial's own loop, as it is usually written: what the project is measured against.

torchvision's transforms of one Pillow image at a time in a DataLoader, Adam, float32, torch's
default layout, a number read from every batch. Nothing in here is slower than the tutorial has it;
the number of worker processes, which it leaves open, is the better of none and two.
"""

import time
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from transfer.config.schema import AugmentConfig
from transfer.data import Split
from transfer.models.families import build_model
from transfer.models.head import backbone_parameters
from transfer.system.torchvision import load_torchvision

BATCH_SIZE = 64
_WORKERS = (0, 2)
_TRIAL_IMAGES = 640


class PillowImages(Dataset[tuple[Tensor, int]]):
    """A split as torchvision's CIFAR10 hands it out: an array an image, through Pillow.

    Args:
        transform: from a Pillow image to float [3, H, W].
    """

    def __init__(self, split: Split, transform: nn.Module) -> None:
        self.images = split.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels: list[int] = split.labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.images[index])
        return self.transform(image), self.labels[index]


def article_transforms(
    size: int, mean: Sequence[float], std: Sequence[float], augment: AugmentConfig | None
) -> nn.Module:
    """Resize where needed, augment unless None, normalise: in distribution, `Preprocess`."""
    transforms = load_torchvision().transforms
    steps: list[object] = [transforms.Resize((size, size))]  # costs nothing at this size already
    if augment is not None:
        padding = round(augment.crop_padding * size / 32)
        jitter = (augment.brightness, augment.contrast, augment.saturation, augment.hue)
        if augment.crop_scale < 1:
            steps = [transforms.RandomResizedCrop(size, scale=(augment.crop_scale, 1.0))]
        steps += [transforms.RandomCrop(size, padding=padding)] if padding else []
        steps += [transforms.RandomHorizontalFlip()] if augment.flip else []
        steps += [transforms.TrivialAugmentWide()] if augment.trivial else []
        steps += [transforms.ColorJitter(*jitter)] if any(jitter) else []
        steps += [transforms.RandomRotation(augment.rotation)] if augment.rotation else []
    steps += [transforms.ToTensor(), transforms.Normalize(mean, std)]
    composed: nn.Module = transforms.Compose(steps)
    return composed


class ReferenceLoop:
    """One network under the tutorial's loop; `epoch` trains and evaluates once.

    Args:
        state: initial weights, as of the project's own model.
        frozen: turn off the backbone's gradients, which is all that the tutorial does, until
            `unfreeze`.
        workers: of the two DataLoaders; see `faster_workers`.
    """

    def __init__(
        self,
        name: str,
        state: dict[str, Tensor],
        train: PillowImages,
        test: PillowImages,
        *,
        size: int,
        classes: int,
        frozen: bool,
        workers: int,
        device: torch.device,
    ) -> None:
        self.device = device
        self.model = build_model(name, classes, size)
        self.model.load_state_dict(state)
        self.model.to(device)
        for parameter in backbone_parameters(self.model):
            parameter.requires_grad = not frozen
        self._optimise(rate=1e-3 if frozen else 1e-4)
        self.criterion = nn.CrossEntropyLoss()
        self.train_loader = _loader(train, workers, shuffle=True)
        self.test_loader = _loader(test, workers, shuffle=False)

    def epoch(self) -> tuple[float, float]:
        """Train once over the training images, then evaluate: accuracies, 0 to 1."""
        return self._train(), self._test()

    def unfreeze(self) -> None:
        """From now on everything trains, at the tutorial's lower rate."""
        for parameter in self.model.parameters():
            parameter.requires_grad = True
        self._optimise(rate=1e-4)

    def _optimise(self, rate: float) -> None:
        trained = [each for each in self.model.parameters() if each.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=rate, weight_decay=1e-4)
        self.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=0.5, patience=2
        )

    def _train(self) -> float:
        self.model.train()
        losses, correct, seen = [], 0, 0
        for batch, target in self.train_loader:
            images, labels = batch.to(self.device), target.to(self.device)
            self.optimizer.zero_grad()
            outputs = self.model(images)
            loss = self.criterion(outputs, labels)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
            correct += (outputs.argmax(dim=1) == labels).sum().item()
            seen += len(labels)
        return correct / seen

    @torch.no_grad()
    def _test(self) -> float:
        self.model.eval()
        losses, correct, seen = [], 0, 0
        for batch, target in self.test_loader:
            images, labels = batch.to(self.device), target.to(self.device)
            outputs = self.model(images)
            losses.append(self.criterion(outputs, labels).item())
            correct += (outputs.argmax(dim=1) == labels).sum().item()
            seen += len(labels)
        # The test loss steers, as in the tutorial.
        self.schedule.step(sum(losses) / len(losses))
        return correct / seen


def faster_workers(images: PillowImages) -> int:
    """How many worker processes hand out augmented batches sooner: none, or two."""
    some = torch.utils.data.Subset(images, range(min(len(images), _TRIAL_IMAGES)))
    seconds = {}
    for workers in _WORKERS:
        loader = _loader(some, workers, shuffle=True)
        list(loader)  # starts the workers
        start = time.perf_counter()
        list(loader)
        seconds[workers] = time.perf_counter() - start
    return min(seconds, key=lambda workers: seconds[workers])


def _loader(
    images: Dataset[tuple[Tensor, int]], workers: int, *, shuffle: bool
) -> DataLoader[tuple[Tensor, int]]:
    return DataLoader(
        images, BATCH_SIZE, shuffle=shuffle, num_workers=workers, persistent_workers=workers > 0
    )
