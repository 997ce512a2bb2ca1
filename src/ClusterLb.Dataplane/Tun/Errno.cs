namespace ClusterLb.Dataplane.Tun;

/// <summary>The error numbers that this program decides on or prints (asm-generic/errno-base.h, errno.h).</summary>
public static class Errno
{
    /// <summary>Operation not permitted.</summary>
    public const int EPERM = 1;

    /// <summary>No such file or directory.</summary>
    public const int ENOENT = 2;

    /// <summary>Interrupted system call.</summary>
    public const int EINTR = 4;

    /// <summary>Input/output error: a TUN device that is down takes no packet.</summary>
    public const int EIO = 5;

    /// <summary>Nothing to read, or no room to write, without waiting.</summary>
    public const int EAGAIN = 11;

    /// <summary>Permission denied.</summary>
    public const int EACCES = 13;

    /// <summary>Device or resource busy.</summary>
    public const int EBUSY = 16;

    /// <summary>No such device.</summary>
    public const int ENODEV = 19;

    /// <summary>Invalid argument.</summary>
    public const int EINVAL = 22;

    /// <summary>File descriptor in bad state: the TUN device was deleted under its queue.</summary>
    public const int EBADFD = 77;

    /// <summary>No buffer space available.</summary>
    public const int ENOBUFS = 105;

    /// <summary>Nobody listens on the socket.</summary>
    public const int ECONNREFUSED = 111;

    /// <summary>The symbolic name and the number, for messages: <c>EPERM (1)</c>.</summary>
    public static string Name(int errno) => errno switch
    {
        EPERM => "EPERM",
        ENOENT => "ENOENT",
        EINTR => "EINTR",
        EIO => "EIO",
        9 => "EBADF",
        EAGAIN => "EAGAIN",
        EACCES => "EACCES",
        EBUSY => "EBUSY",
        ENODEV => "ENODEV",
        EINVAL => "EINVAL",
        24 => "EMFILE",
        25 => "ENOTTY",
        32 => "EPIPE",
        EBADFD => "EBADFD",
        90 => "EMSGSIZE",
        95 => "EOPNOTSUPP",
        98 => "EADDRINUSE",
        104 => "ECONNRESET",
        ENOBUFS => "ENOBUFS",
        ECONNREFUSED => "ECONNREFUSED",
        _ => "errno",
    } + $" ({errno})";
}
