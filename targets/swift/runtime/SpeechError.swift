import Foundation

/// What can go wrong between a model and its text; every case says what to do.
public enum SpeechError: Error, Sendable, Equatable, LocalizedError {
    /// The package lacks a file, or one is damaged.
    case damagedModel(String)
    /// Core ML refused to compile, load or call a function.
    case coreML(function: String, reason: String)
    /// Core ML returned an array of another shape or element type than the model's description.
    case unexpectedOutput(function: String, output: String, reason: String)
    /// Samples that are no sound: not finite, or beyond all loudness.
    case notSound(String)
    /// A buffer or rate that can't be converted to the model's.
    case unsupportedAudio(String)
    /// A person has denied the app the microphone.
    case microphoneDenied
    /// The microphone can't listen: another app has it, there is none, or the audio session refuses.
    case microphone(String)
    /// Compiled models can't be kept on the device.
    case storage(String)
    /// More audio than the one utterance that the model takes.
    case tooLong(seconds: Double, room: Double)
    /// Audio after `finish()`.
    case finished
    /// A chunk that the model has no functions for.
    case unsupportedChunk(String, known: String)
    /// A call that another kind of model has.
    case otherModel(String)
    /// A search that can't be done with this model, or a setting that can't be.
    case unsupportedSearch(String)
    /// Every hypothesis was ruled out, or the model returned no numbers.
    case noHypothesis(String)
    /// A text that the model's tokens can't spell.
    case notSpellable(String)
    /// The model has no names for its labels, or is untrained.
    case nameless(String)

    /// What is wrong, and what to do.
    public var errorDescription: String? {
        switch self {
        case .damagedModel(let what): "The model is damaged: \(what). Add the emitted package again."
        case .coreML(let function, let reason): "Core ML can't run \(function): \(reason)"
        case .unexpectedOutput(let function, let output, let reason):
            "\(function) returned \(output) as \(reason). Build package and app from one model."
        case .notSound(let what): "These samples are no sound: \(what). Full scale is 1."
        case .unsupportedAudio(let what): "This audio can't be converted: \(what)"
        case .microphoneDenied:
            "The microphone is denied to this app. Settings, Privacy & Security, Microphone allows it."
        case .microphone(let what): "The microphone can't listen: \(what)"
        case .storage(let what): "The compiled model can't be kept: \(what). Free space, or give another `cache`."
        case .tooLong(let seconds, let room):
            "\(seconds) s of audio, and the model takes \(room) s at a time. Cut it where someone pauses."
        case .finished: "The recognizer has finished. Other audio takes another recognizer."
        case .unsupportedChunk(let wanted, let known):
            "The model can't be called every \(wanted). It has \(known.isEmpty ? "no chunks" : known)."
        case .otherModel(let what): what
        case .unsupportedSearch(let what): "This search can't be done: \(what)"
        case .noHypothesis(let what): "No hypothesis is left: \(what)"
        case .notSpellable(let what): "The model's tokens can't spell \(what)"
        case .nameless(let what): "The model tells labels only by number: \(what)"
        }
    }
}
