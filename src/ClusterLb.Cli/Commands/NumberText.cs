using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;

namespace ClusterLb.Cli.Commands;

/// <summary>Reads numbers that people type, and says in their words what is wrong with one.</summary>
internal static class NumberText
{
    /// <summary>For <c>CustomParser</c>: a number of type <typeparamref name="T"/>, which is not negative.</summary>
    public static T Parse<T>(ArgumentResult result)
        where T : struct, IBinaryInteger<T>, IMinMaxValue<T>
    {
        string text = result.Tokens[0].Value;
        if (T.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out T number))
        {
            return number;
        }

        result.AddError($"'{text}' is not a number from 0 to {T.MaxValue}");
        return default;
    }
}
