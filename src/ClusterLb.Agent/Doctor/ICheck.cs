namespace ClusterLb.Agent.Doctor;

/// <summary>One thing that <c>doctor</c> looks at. A check reads and never writes; it needs no running agent.</summary>
internal interface ICheck
{
    /// <summary>A few words, the same in every release.</summary>
    string Name { get; }

    /// <summary>Looks at the network namespace of the calling process.</summary>
    /// <exception cref="Exception">It could not look: <see cref="NodeDoctor"/> tells that in the check's row.</exception>
    Finding Look(NodeFacts node);
}
