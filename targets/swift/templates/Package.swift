// swift-tools-version: 6.0
import PackageDescription

let package = Package(
    name: "__MODULE__",
    platforms: [.iOS(.v18), .macOS(.v15)],
    products: [
        .library(name: "__MODULE__", targets: ["__MODULE__"]),
        .executable(name: "__PRODUCT__", targets: ["__PRODUCT__"]),
    ],
    targets: [
        .target(name: "__MODULE__", resources: [.copy("Model")]),
        .executableTarget(name: "__PRODUCT__", dependencies: ["__MODULE__"]),
        .testTarget(name: "__MODULE__Tests", dependencies: ["__MODULE__"], resources: [.copy("check.json")]),
    ]
)
