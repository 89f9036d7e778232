#if canImport(SwiftUI) && canImport(AVFoundation)
    import __MODULE__
    import SwiftUI

    /// Live captions in one screen. An app target needs `NSMicrophoneUsageDescription` in its Info.plist.
    @main
    struct CaptionsApp: App {
        var body: some Scene {
            WindowGroup { CaptionsView() }
        }

        static func told(_ event: MicrophoneEvent) -> String {
            switch event {
            case .listening: "Listening"
            case .interrupted: "Another app has the microphone"
            case .failed(let error): error.localizedDescription
            }
        }
    }

    @MainActor
    @Observable
    final class Captions {
        private(set) var lines: [String] = []
        private(set) var volatile = ""
        private(set) var told = "Loading"

        /// Listens until the task is cancelled.
        func listen() async {
            do {
                let model = try await SpeechModel.load { progress in
                    Task { @MainActor in self.told = "\(progress)" }
                }
                let recognizer = try await model.recognizer()
                let microphone = Microphone(recognizer)
                let events = Task {
                    for await event in microphone.events { told = CaptionsApp.told(event) }
                }
                defer { events.cancel() }
                guard await Microphone.requestPermission() else { throw SpeechError.microphoneDenied }
                try microphone.start()
                for try await result in recognizer.results {
                    volatile = result.isFinal ? "" : result.text
                    if result.isFinal { lines.append(result.text) }
                }
            } catch {
                told = error.localizedDescription
            }
        }
    }

    struct CaptionsView: View {
        @State private var captions = Captions()

        var body: some View {
            ScrollView {
                VStack(alignment: .leading, spacing: 8) {
                    ForEach(Array(captions.lines.enumerated()), id: \.offset) { Text($0.element) }
                    Text(captions.volatile).foregroundStyle(.secondary)
                }
                .frame(maxWidth: .infinity, alignment: .leading)
                .padding()
            }
            .safeAreaInset(edge: .bottom) { Text(captions.told).font(.footnote).padding() }
            .task { await captions.listen() }
        }
    }
#endif
