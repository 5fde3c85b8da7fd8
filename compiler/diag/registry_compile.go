package diag

// compile is 7xxx: evaluation and the configuration that comes out.
var compile = []Entry{
	{EvaluationLimit, Error, "evaluation exceeded a limit",
		"CUE is evaluated in a child process with limits on time, memory and output, because a few lines can ask for more than a machine has: nested disjunctions, long generated lists, huge numbers, lists of lists of lists. Write the values out, or generate them before the commit.",
		"import \"list\"\n_x: list.Range(0, 100000000, 1)", "_x: [1, 2, 3]"},
	{EvaluationCrash, Error, "the evaluation failed",
		"The process that evaluates CUE ended without an answer. This is a bug of meshc or of CUE; the message holds what is known.",
		"// a construct that the evaluator of CUE fails on; the message names the directory", "// the same, said more simply"},
	{NotServed, Error, "a field that a proxy concerned cannot serve",
		"Each field of the language is acted on by the proxies of the callers, or by the proxy of the service itself. docs/features.md says for each field which kinds of proxy serve it; one that does not would take the field and do nothing, so it is refused. `proxy` says which kind runs where.",
		"proxy: \"meshc\"", "proxy: \"envoy\""},
}

// internal is 9xxx: bugs of meshc.
var internal = []Entry{
	{Internal, Error, "meshc itself failed",
		"This is a bug of meshc and not of the mesh. Please report it with the output.",
		"// no mesh should produce it", "// any mesh"},
}
