using ClusterLb.Lab.Echo;

namespace ClusterLb.Lab.Client;

/// <summary>One connection (or datagram) and what came of it.</summary>
/// <param name="Answer">What the server said; null if it failed.</param>
/// <param name="Failure">Empty, or why: refused, timeout, reset, unreachable ...</param>
/// <param name="Elapsed">From dialling to the whole answer, or to the failure.</param>
/// <param name="LocalAddress">The client's own address and port.</param>
public sealed record Attempt(EchoAnswer? Answer, string Failure, TimeSpan Elapsed, string LocalAddress);
