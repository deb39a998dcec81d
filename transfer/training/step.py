"""One step of training: a batch's pass forward and back, and the optimiser's update."""

import logging
import time
import warnings
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from transfer.system.device import send, synchronize
from transfer.training.batch_pass import BatchPass

log = logging.getLogger(__name__)

Batch = Mapping[str, Tensor]
# The mean loss of a batch, and how many of its images were classified correctly.
Pass = Callable[[Batch], tuple[Tensor, Tensor]]

# Which passes are timed: the first choose kernels, fill the allocator and wake the GPU.
_TIMED = (4, 8, 16, 32, 64)
# Launching takes longest where it takes more than this share of a pass.
_LAUNCH_BOUND = 0.5


class TrainingStep:
    """Trains a network by one batch a call.

    On a GPU, the kernels of a small network take less time than Python takes to launch them. Where
    a pass is seen to be so, it is captured as a CUDA graph, which one call launches as a whole:
    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs. It computes what it would
    compute otherwise. Batches of another shape, such as an epoch's last, go through as ever, and so
    do all where a pass waits for the GPU.

    Args:
        run: a pass forward, to the loss.
        optimizer: over what trains.
        device: where the network is.
        capture: whether a pass may be captured.
    """

    def __init__(
        self, run: BatchPass, optimizer: Optimizer, device: torch.device, *, capture: bool = True
    ) -> None:
        self._run = run
        self._optimizer = optimizer
        self._device = device
        self._undecided = capture and device.type == "cuda"
        self._launch_bound = False
        self._pays = False
        self._shape: torch.Size | None = None
        self._passes = 0
        self._captured: CapturedPass | None = None

    @property
    def captured(self) -> bool:
        """Whether a pass is launched as a whole."""
        return self._captured is not None

    def __call__(self, batch: Batch, *, steady: bool = True) -> tuple[Tensor, Tensor]:
        """Update the network once.

        Args:
            batch: what the pass takes; its `inputs` lie on the device.
            steady: whether the layers do to the next batch what they do to this one: a graph
                repeats, number by number, what was captured.

        Returns:
            what the pass gave, before the update. The next call may overwrite it.
        """
        if self._pays and steady and batch["inputs"].shape == self._shape:
            self._capture(batch)
        run: Pass = self._forward_backward
        if self._captured is not None and steady and self._captured.fits(batch):
            run = self._captured
        elif self._undecided and steady:
            run = self._watched
        result = run(batch)
        self._optimizer.step()
        return result

    def _forward_backward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        self._optimizer.zero_grad(set_to_none=True)
        loss, correct = self._run(batch)
        loss.backward()
        # What held on to the graph of one pass would tie the next one, captured, to its stream.
        return loss.detach(), correct

    def _watched(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """A pass; some of one shape are timed, and after one whose launch takes longest, one is
        seen not to wait."""
        if batch["inputs"].shape != self._shape:
            if self._launch_bound:
                return self._forward_backward(batch)
            self._shape, self._passes = batch["inputs"].shape, 0
        self._passes += 1
        if self._launch_bound:
            self._undecided = False
            results, self._pays = self._seen_not_to_wait(batch)
            return results
        if self._passes not in _TIMED:
            return self._forward_backward(batch)
        self._undecided = self._passes < _TIMED[-1]
        synchronize(self._device)
        start = time.perf_counter()
        results = self._forward_backward(batch)
        launched = time.perf_counter() - start
        synchronize(self._device)
        if launched > _LAUNCH_BOUND * (time.perf_counter() - start):
            self._launch_bound = self._undecided = True
        return results

    def _seen_not_to_wait(self, batch: Batch) -> tuple[tuple[Tensor, Tensor], bool]:
        """The results of a pass, and whether a graph can repeat it: nothing in it waited for the
        GPU."""
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                results = self._forward_backward(batch)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        # The mode itself warns once that it is a prototype.
        waits = ("called a synchronizing" in str(each.message) for each in warned)
        return results, self._run.repeats and not any(waits)

    def _capture(self, batch: Batch) -> None:
        self._pays = False
        groups = self._optimizer.param_groups
        trained = [parameter for group in groups for parameter in group["params"]]
        generator = torch.cuda.default_generators[self._device.index or 0]
        state, stream = generator.get_state(), torch.cuda.current_stream(self._device)
        try:
            self._captured = CapturedPass(self._forward_backward, batch, trained, self._device)
        except RuntimeError as error:
            # There is no memory for a second set of activations, say.
            first, *_ = str(error).splitlines()
            log.warning("each kernel of this network is launched by itself: %s", first)
            # A capture that fails leaves its stream, and the generator, as if it went on.
            torch.cuda.set_stream(stream)
            fresh = torch.Generator(self._device)
            fresh.set_state(state)
            generator.graphsafe_set_state(fresh)


class CapturedPass:
    """A pass forward and backward as a CUDA graph, over batches of one shape.

    Args:
        run: the pass; it leaves gradients at the parameters.
        batch: not trained on.
        parameters: what trains. Where one has a gradient, the graph leaves it there.
        device: where all is computed.

    Raises:
        RuntimeError: torch cannot capture it.
    """

    def __init__(
        self, run: Pass, batch: Batch, parameters: list[nn.Parameter], device: torch.device
    ) -> None:
        self._batch = {
            name: each.clone() if each.device.type == device.type else send(each, device)
            for name, each in batch.items()
        }
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(device):
            capture = torch.cuda.graph(
                self._graph,
                stream=torch.cuda.Stream(),
                # Threads that bring images here allocate meanwhile.
                capture_error_mode="thread_local",
            )
            with capture:
                self._results = run(self._batch)
        self._gradients = [(each, each.grad) for each in parameters]

    def fits(self, batch: Batch) -> bool:
        """Whether a batch has the shapes and types of what was captured."""
        return batch.keys() == self._batch.keys() and all(
            batch[name].shape == own.shape and batch[name].dtype == own.dtype
            for name, own in self._batch.items()
        )

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The results of the pass; the gradients are at the parameters."""
        for name, own in self._batch.items():
            own.copy_(batch[name], non_blocking=True)
        self._graph.replay()
        # A pass of another shape, since, has left its own.
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        return self._results
