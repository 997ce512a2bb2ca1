namespace ClusterLb.Lab.Client;

/// <summary>How a client speaks to an echo server.</summary>
public enum ConnectProtocol
{
    /// <summary>A TCP connection with one HTTP request.</summary>
    Http,

    /// <summary>A TCP connection to the echo port: the server speaks first.</summary>
    Tcp,

    /// <summary>One datagram and its answer, from a new port each time.</summary>
    Udp,
}
