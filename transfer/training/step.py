"""One step of training: a batch through the network, back, and the optimiser's update."""

import logging
import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from transfer.system.device import synchronize

log = logging.getLogger(__name__)

Loss = Callable[[Tensor, Tensor], Tensor]
Pass = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

# So many passes choose kernels and fill the allocator before one is timed.
_WARM_UP = 3
# Launching takes longest where it takes more than this share of a pass.
_LAUNCH_BOUND = 0.5


class TrainingStep:
    """Trains `network` by one batch a call.

    On a GPU, the kernels of a small network take less time than Python takes to launch them. Where
    a pass is seen to be so, it is captured as a CUDA graph, which one call launches as a whole:
    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs. It computes what it would
    compute otherwise. Batches of another shape, such as an epoch's last, go through as ever.

    Args:
        network: in training mode; float inputs [B, …] give logits [B, K].
        optimizer: over what trains of it.
        loss: of float32 logits [B, K] and the targets: a scalar.
        autocast: the precision to compute in.
        device: where the network is.
        capture: whether a pass may be captured.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        loss: Loss,
        autocast: torch.autocast,
        device: torch.device,
        *,
        capture: bool = True,
    ) -> None:
        self._network = network
        self._optimizer = optimizer
        self._loss = loss
        self._autocast = autocast
        self._device = device
        self._undecided = capture and device.type == "cuda"
        self._pays = False
        self._shape: torch.Size | None = None
        self._passes = 0
        self._captured: CapturedPass | None = None

    @property
    def captured(self) -> bool:
        """Whether a pass is launched as a whole."""
        return self._captured is not None

    def __call__(
        self, inputs: Tensor, targets: Tensor, *, steady: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Update the network once.

        Args:
            inputs, targets: a batch, on the device.
            steady: whether the layers do to the next batch what they do to this one: a graph
                repeats, number by number, what was captured.

        Returns:
            the logits before the update and their mean loss. The next call may overwrite them.
        """
        if self._pays and steady and inputs.shape == self._shape:
            self._capture(inputs, targets)
        run: Pass = self._forward_backward
        if self._captured is not None and steady and self._captured.fits(inputs, targets):
            run = self._captured
        elif self._undecided and steady:
            run = self._watched
        logits, loss = run(inputs, targets)
        self._optimizer.step()
        return logits, loss

    def _forward_backward(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        self._optimizer.zero_grad(set_to_none=True)
        with self._autocast:
            logits = self._network(inputs)
            loss = self._loss(logits.float(), targets)
        loss.backward()
        # What held on to the graph of one pass would tie the next one, captured, to its stream.
        return logits.detach(), loss.detach()

    def _watched(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """A pass; after some of one shape, one whose launch is timed."""
        if inputs.shape != self._shape:
            self._shape, self._passes = inputs.shape, 0
        self._passes += 1
        if self._passes <= _WARM_UP:
            return self._forward_backward(inputs, targets)
        self._undecided = False
        synchronize(self._device)
        start = time.perf_counter()
        results = self._forward_backward(inputs, targets)
        launched = time.perf_counter() - start
        synchronize(self._device)
        launch_bound = launched > _LAUNCH_BOUND * (time.perf_counter() - start)
        self._pays = launch_bound and not _reads_its_count(self._network)
        return results

    def _capture(self, inputs: Tensor, targets: Tensor) -> None:
        self._pays = False
        trained = [each for group in self._optimizer.param_groups for each in group["params"]]
        try:
            self._captured = CapturedPass(self._forward_backward, inputs, targets, trained)
        except RuntimeError as error:
            # Something in it waits for the GPU, or there is no memory for a second set of
            # activations.
            first, *_ = str(error).splitlines()
            log.warning("each kernel of this network is launched by itself: %s", first)


def _reads_its_count(network: nn.Module) -> bool:
    """Whether BatchNorm averages over all batches alike: torch reads the number of batches back."""
    return any(
        isinstance(each, _BatchNorm) and each.training and each.momentum is None
        for each in network.modules()
    )


class CapturedPass:
    """A pass forward and backward as a CUDA graph, over inputs and targets of one shape.

    Args:
        run: the pass; it leaves gradients at the parameters.
        inputs, targets: a batch; it is not trained on.
        parameters: what trains. Where one has a gradient, the graph leaves it there.

    Raises:
        RuntimeError: torch cannot capture it.
    """

    def __init__(
        self, run: Pass, inputs: Tensor, targets: Tensor, parameters: Iterable[nn.Parameter]
    ) -> None:
        self._inputs, self._targets = inputs.clone(), targets.clone()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(inputs.device):
            capture = torch.cuda.graph(
                self._graph,
                stream=torch.cuda.Stream(),
                # Threads that bring images here allocate meanwhile.
                capture_error_mode="thread_local",
            )
            with capture:
                self._logits, self._loss = run(self._inputs, self._targets)
        self._gradients = [(each, each.grad) for each in parameters]

    def fits(self, inputs: Tensor, targets: Tensor) -> bool:
        """Whether a batch has the shapes and types of what was captured."""
        pairs = ((inputs, self._inputs), (targets, self._targets))
        return all(one.shape == own.shape and one.dtype == own.dtype for one, own in pairs)

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of a batch and their loss; the gradients are at the parameters."""
        self._inputs.copy_(inputs)
        self._targets.copy_(targets)
        self._graph.replay()
        # A pass of another shape, since, has left its own.
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        return self._logits, self._loss
