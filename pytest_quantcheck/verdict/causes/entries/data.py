"""Faults upstream of the integers: samples, labels, calibration, the model file and its scales."""

from __future__ import annotations

from pytest_quantcheck.verdict.causes.entries.entry import Entry

_FLOAT = "the float model's score rises when it is undone, beyond what chance explains"
_QUANTIZED = "the score of the quantized network rises when it is undone, beyond what chance explains"


def _entry(code: str, sentence: str, remedy: str, evidence: str, *reports: str) -> Entry:
    return Entry(code, "data", sentence, remedy, reports, evidence)


DATA = (
    _entry(
        "preprocessing",
        "The samples are not preprocessed as in training: a step is missing, doubled, or of another range.",
        "Apply the training's preprocessing, once, in the data function.",
        _FLOAT,
        "tensorflow/tensorflow#25228",
        "PINTO0309/onnx2tf#610",
    ),
    _entry(
        "input_layout",
        "Values come as NCHW where NHWC is wanted, or the other way round.",
        "Transpose the samples to the model's own layout.",
        _FLOAT + "; on a device: the operator computed again from it gives its tensors bit for bit",
        "kendryte/nncase#936",
        "tensorflow/tensorflow#30044",
    ),
    _entry(
        "channel_order",
        "Colour channels are in reverse order: RGB and BGR.",
        "Convert where the picture is read (OpenCV gives BGR).",
        _FLOAT + "; on a device: the operator computed again from it gives its tensors bit for bit",
        "Kotlin/kotlindl#400",
        "raspberrypi/picamera2#1148",
    ),
    _entry(
        "input_transposed",
        "Rows and columns of the input are exchanged.",
        "Index pictures by row, then column.",
        _FLOAT + "; on a device: the operator computed again from it gives its tensors bit for bit",
        "inaturalist/vision-camera-plugin-inatvision#102",
        "tensorflow/tensorflow#25784",
    ),
    _entry(
        "input_turned",
        "Pictures are upside down, mirrored or turned.",
        "Turn them as in training.",
        _FLOAT + "; on a device: the operator computed again from it gives its tensors bit for bit",
        "Syn-McJ/TFClassify-Unity#16",
        "keijiro/YoloV4TinyBarracuda#3",
    ),
    _entry(
        "label_order",
        "Labels are in another order than the model's outputs.",
        "Sort the classes as in training.",
        "in the order that each class's own majority asks for, more are right than chance explains",
        "experiencor/keras-yolo3#82",
        "tensorflow/docs#2212",
    ),
    _entry(
        "float_model_quantized",
        "The float reference is itself quantized.",
        "Convert the float model again, without optimizations.",
        "the file holds int8 or float16 weights",
        "eembc/energyrunner#13",
        "STMicroelectronics/stm32ai-modelzoo-services#33",
    ),
    _entry(
        "calibration_one_class",
        "Calibration saw only some of the classes.",
        "Calibrate with samples of all classes (calibration=stratified:10%).",
        _QUANTIZED + ", and the calibration samples' labels leave classes out",
        "tensorflow/tensorflow#40935",
        "tensorflow/model-optimization#1002",
    ),
    _entry(
        "calibration_range",
        "Calibration samples have another range than the test samples: normalised twice, or not at all.",
        "Preprocess calibration and test samples with the same function.",
        _QUANTIZED + ", and the two sets' values have different ranges",
        "PINTO0309/onnx2tf#610",
        "tensorflow/tensorflow#39954",
    ),
    _entry(
        "calibration_random",
        "Calibration saw random numbers.",
        "Calibrate with real samples; random ones give footprints only.",
        "the configuration says so, or the score rises when it is undone and neighbours in the samples are "
        "as unlike as noise",
        "zama-ai/concrete-ml#229",
        "zerollzeng/tensorrt-zoo#7",
    ),
    _entry(
        "test_outside_range",
        "Test inputs lie outside the calibrated range and are clipped.",
        "Compare their preprocessing with the training's; if it is right, calibrate with samples like these.",
        _QUANTIZED + ", and the share of clipped values is counted",
        "tensorflow/tensorflow#40935",
        "tensorflow/tensorflow#58206",
    ),
    _entry(
        "activation_range",
        "A layer's scale does not fit its values: an outlier stretched it, or values are clipped.",
        "Calibrate with samples like the test's, clip outliers, or use scheme=int16x8.",
        _QUANTIZED,
        "PINTO0309/onnx2tf#269",
        "tensorflow/tensorflow#58206",
    ),
    _entry(
        "concat_scale",
        "Unlike values, such as pixels and scores, share one scale in a CONCATENATION.",
        "Normalise boxes to 0..1 in the model, or give boxes and scores outputs of their own.",
        _QUANTIZED + ", when only the concatenation's tensors are left in float",
        "ultralytics/ultralytics#1695",
        "ultralytics/ultralytics#25524",
    ),
    _entry(
        "pad_constant",
        "A pad constant, such as -FLT_MAX before max pooling, stretches a scale.",
        "Pad with a value inside the layer's range, or let the pooling pad (padding=SAME).",
        _QUANTIZED + ", when only the padded tensor is left in float",
        "tensorflow/tensorflow#46499",
        "PINTO0309/onnx2tf#446",
    ),
    _entry(
        "per_tensor_channels",
        "Unlike channels share one scale (per-tensor weights).",
        "Quantize with granularity=per_channel, or equalise first (optimize).",
        _QUANTIZED + ", when the layer's weights get a scale per channel",
        "tensorflow/tensorflow#57745",
        "ARM-software/armnn#344",
    ),
    _entry(
        "weights_precision",
        "A layer's quantized weights are too far from the float model's.",
        "Quantize again from this float model; if it stays, keep the layer in int16x8.",
        _QUANTIZED + ", when the layer has the float model's weights",
        "tensorflow/model-optimization#794",
    ),
    _entry(
        "shared_bias",
        "Layers with different scales share one bias constant.",
        "Give each layer a bias of its own before conversion (a tiny different value suffices).",
        "the bias's scale is not input scale * weight scale of an operator that reads it",
        "tensorflow/tensorflow#40055",
        "tensorflow/tensorflow#37023",
    ),
    _entry(
        "open_batch",
        "An open batch size left SPACE_TO_BATCH_ND and shape arithmetic around a dilated convolution.",
        "Convert with batch 1 and fixed sizes; the converter then makes one dilated convolution.",
        "the file has SPACE_TO_BATCH_ND or BATCH_TO_SPACE_ND",
        "tensorflow/tensorflow#46822",
        "tensorflow/tensorflow#29509",
    ),
    _entry(
        "inputs_swapped",
        "Inputs of one shape stand in each other's place.",
        "Bind inputs by name, not by position: converters sort them.",
        _FLOAT + "; on a device: the operator computed again from it gives its tensors bit for bit",
        "tensorflow/tensorflow#124015",
        "tensorflow/tensorflow#56985",
    ),
    _entry(
        "outputs_order",
        "Outputs come in another order than the truth, or than the reference's.",
        "Bind outputs by name, not by position: converters sort them.",
        "every output is exactly another one's, or scores rise when they are exchanged",
        "tensorflow/tensorflow#33303",
        "tensorflow/tensorflow#57043",
    ),
    _entry(
        "argmax_tie",
        "Several classes have the same largest integer, and the first of them is named.",
        "Judge before SOFTMAX, widen the output (int16), or leave the output in float32.",
        "of the samples lost against the float model, most have their label among the tied classes",
        "mlcommons/inference_policies#268",
        "boluoweifenda/WAGE#8",
    ),
)
