using ClusterLb.Agent.Steering;

namespace ClusterLb.Tests.Agent;

/// <summary>How often steering is put back.</summary>
public sealed class RepairPaceTests
{
    private readonly RepairPace _pace = new();

    [Fact]
    public void A_few_repairs_are_made_at_once()
    {
        for (int i = 1; i < RepairPace.Burst; i++)
        {
            Assert.True(_pace.MayRepair(i));
            Assert.False(_pace.Note(i));
        }

        Assert.True(_pace.MayRepair(RepairPace.Burst));
        Assert.False(_pace.IsContested);
    }

    [Fact]
    public void Repairs_now_and_then_are_no_fight()
    {
        for (int i = 0; i < 100; i++)
        {
            long now = i * ((RepairPace.WindowMs / (RepairPace.Burst - 1)) + 1);
            Assert.True(_pace.MayRepair(now));
            Assert.False(_pace.Note(now));
        }
    }

    [Fact]
    public void A_fight_is_told_once_and_then_repairs_wait()
    {
        Fight();

        Assert.False(_pace.MayRepair(RepairPace.PauseMs));
        Assert.True(_pace.MayRepair(RepairPace.PauseMs + RepairPace.Burst));
        Assert.False(_pace.Note(RepairPace.PauseMs + RepairPace.Burst)); // told already
        Assert.False(_pace.MayRepair(RepairPace.PauseMs + RepairPace.Burst + 1));
        Assert.Equal(RepairPace.Burst + 1, _pace.Count);
    }

    [Fact]
    public void It_ends_when_nobody_has_touched_anything_for_a_while()
    {
        Fight();

        Assert.False(_pace.NoteQuiet(RepairPace.WindowMs - 1));
        Assert.True(_pace.NoteQuiet(RepairPace.WindowMs + RepairPace.Burst));
        Assert.False(_pace.NoteQuiet(RepairPace.WindowMs + RepairPace.Burst));
        Assert.True(_pace.MayRepair(RepairPace.WindowMs + RepairPace.Burst));
        Assert.False(_pace.IsContested);
    }

    private void Fight()
    {
        for (int i = 1; i <= RepairPace.Burst; i++)
        {
            Assert.Equal(i == RepairPace.Burst, _pace.Note(i));
        }

        Assert.True(_pace.IsContested);
    }
}
