package diag

// compile is 7xxx: evaluation and the configuration that comes out.
var compile = []Entry{
	{EvaluationLimit, Error, "evaluation exceeded a limit",
		"CUE is evaluated in a child process with limits on time, memory and output, because a few lines can ask for more than a machine has: nested disjunctions, long generated lists, huge numbers, lists of lists of lists. Write the values out, or generate them before the commit.",
		"import \"list\"\n_x: list.Range(0, 100000000, 1)", ""},
	{EvaluationCrash, Error, "the evaluation failed",
		"The process that evaluates CUE ended without an answer. This is a bug of meshc or of CUE; the message holds what is known.",
		"", ""},
}

// internal is 9xxx: bugs of meshc.
var internal = []Entry{
	{Internal, Error, "meshc itself failed",
		"This is a bug of meshc and not of the mesh. Please report it with the output.",
		"", ""},
}
