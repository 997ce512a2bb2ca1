namespace ClusterLb.Lab.Echo;

/// <summary>What an echo server tells each client.</summary>
/// <param name="Pod">Who answers.</param>
/// <param name="Node">Where it runs.</param>
/// <param name="Client">Address and port of the client, as the server sees them.</param>
/// <param name="Server">Address and port that the client reached, as the server sees them.</param>
/// <param name="Protocol">http, tcp or udp.</param>
public sealed record EchoAnswer(string Pod, string Node, string Client, string Server, string Protocol);
