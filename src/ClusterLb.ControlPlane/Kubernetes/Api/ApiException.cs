using System.Net;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>The API server cannot be reached, or refused: a sentence for an operator. Tried again by whoever asked.</summary>
#pragma warning disable RCS1194 // internal: whoever throws it has a message
internal sealed class ApiException : Exception
#pragma warning restore RCS1194
{
    public ApiException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }

    public ApiException(string message, HttpStatusCode status, string reason, TimeSpan? retryAfter)
        : base(message)
    {
        Status = status;
        Reason = reason;
        RetryAfter = retryAfter;
    }

    /// <summary>Null if no answer came.</summary>
    public HttpStatusCode? Status { get; }

    /// <summary>Of the Status object, such as Expired; empty if there was none.</summary>
    public string Reason { get; } = "";

    /// <summary>How long the server asks to wait.</summary>
    public TimeSpan? RetryAfter { get; }

    /// <summary>The resource version is too old (or from the future, after a restore): only a new list helps.</summary>
    public bool NeedsList => Status == HttpStatusCode.Gone || Reason is "Expired" or "Gone" or TooLarge;

    /// <summary>The server does not know this resource.</summary>
    public bool IsNotFound => Status == HttpStatusCode.NotFound;

    /// <summary>Another server of the same cluster may answer otherwise: one with old keys, without its role bindings yet, or no API server at all.</summary>
    public bool IsOfThisServer => Status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.NotFound;

    /// <summary>The server does not know these parameters: how older ones answer to streaming lists.</summary>
    public bool IsBadRequest => Status is HttpStatusCode.BadRequest or HttpStatusCode.UnprocessableEntity;

    /// <summary>Our word for the cause of a 504 that means "your resource version is ahead of me".</summary>
    internal const string TooLarge = "ResourceVersionTooLarge";
}
