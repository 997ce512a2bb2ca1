using ClusterLb.Lab.Client;

namespace ClusterLb.Tests.Lab;

public sealed class EvenSpreadTests
{
    [Theory]
    [InlineData("250 250 250 250", 4, true)]
    [InlineData("231 268 255 246", 4, true)]
    [InlineData("300 233 233 234", 4, true)] // chi-square 13.4: seen about once in 260 fair runs
    [InlineData("340 220 220 220", 4, false)]
    [InlineData("500 500", 4, false)] // two were never chosen
    [InlineData("334 333 333", 4, false)]
    [InlineData("200 200 200 200 200", 4, false)] // somebody answered who is no backend
    [InlineData("1000", 1, true)]
    public void A_fair_choice_is_told_from_an_unfair_one(string counts, int backends, bool even) =>
        Assert.Equal(even, EvenSpread.Of(counts.Split(' ').Select(int.Parse), backends).IsEven);

    [Theory] // quantiles of the chi-square distribution at 0.9999; the approximation is a little above
    [InlineData(1, 15.14)]
    [InlineData(3, 21.11)]
    [InlineData(9, 33.72)]
    public void The_limit_is_what_chance_exceeds_at_most_once_in_ten_thousand(int freedom, double quantile)
    {
        double limit = EvenSpread.Of([], freedom + 1).Limit;

        Assert.InRange(limit, quantile * 0.99, quantile * 1.08);
    }

    [Fact]
    public void Fair_choices_pass()
    {
        const int Seed = 2016;
        var random = new Random(Seed);
        for (int run = 0; run < 1_000; run++)
        {
            int[] counts = new int[5];
            for (int i = 0; i < 1_000; i++)
            {
                counts[random.Next(counts.Length)]++;
            }

            EvenSpread spread = EvenSpread.Of(counts, counts.Length);
            Assert.True(spread.IsEven, $"seed {Seed}, run {run}: {string.Join(' ', counts)}: {spread}");
        }
    }
}
