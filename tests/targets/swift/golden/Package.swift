// swift-tools-version: 6.0
import PackageDescription

let package = Package(
    name: "MctSmall",
    platforms: [.iOS(.v18), .macOS(.v15)],
    products: [
        .library(name: "MctSmall", targets: ["MctSmall"]),
        .executable(name: "mct-small", targets: ["mct-small"]),
    ],
    targets: [
        .target(name: "MctSmall", resources: [.copy("Model")]),
        .executableTarget(name: "mct-small", dependencies: ["MctSmall"]),
        .testTarget(name: "MctSmallTests", dependencies: ["MctSmall"], resources: [.copy("check.json")]),
    ]
)
