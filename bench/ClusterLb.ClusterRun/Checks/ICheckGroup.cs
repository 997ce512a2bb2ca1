namespace ClusterLb.ClusterRun.Checks;

/// <summary>Checks about one subject, with objects of their own.</summary>
internal interface ICheckGroup
{
    /// <summary>The subject, as the report heads it.</summary>
    string Name { get; }

    /// <summary>Makes its objects and checks, one after the other.</summary>
    Task RunAsync(CheckBed bed, CheckList list);
}
