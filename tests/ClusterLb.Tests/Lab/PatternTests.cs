using ClusterLb.Lab.Client;

namespace ClusterLb.Tests.Lab;

public sealed class PatternTests
{
    private const int Period = 65_521;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(Period - 10)] // across the end of a period
    [InlineData(5L * Period + 7)]
    public void What_was_filled_matches_at_its_position_only(long position)
    {
        var pattern = new Pattern(seed: 1);
        byte[] bytes = new byte[70_000];
        pattern.Fill(bytes, position);

        Assert.True(pattern.Matches(bytes, position));
        Assert.False(pattern.Matches(bytes, position + 1));
        bytes[69_999] ^= 1;
        Assert.False(pattern.Matches(bytes, position));
    }

    [Fact]
    public void It_does_not_matter_how_the_stream_is_cut()
    {
        var pattern = new Pattern(seed: 1);
        byte[] whole = new byte[200_000];
        pattern.Fill(whole, 0);

        for (int at = 0; at < whole.Length;)
        {
            int length = Math.Min(1_447, whole.Length - at);
            Assert.True(pattern.Matches(whole.AsSpan(at, length), at), $"at {at}");
            at += length;
        }
    }
}
