namespace ClusterLb.Lab.Stage;

/// <summary>A port of a service of the lab.</summary>
/// <param name="Name">Name of the port, the same in Service and EndpointSlice.</param>
/// <param name="Port">What clients dial.</param>
/// <param name="Protocol">TCP, UDP or SCTP.</param>
/// <param name="TargetPort">Where the backends listen.</param>
public sealed record LabServicePort(string Name, int Port, string Protocol, int TargetPort);
