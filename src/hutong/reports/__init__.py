"""Reports from people, as 12321 and 12381 collect them: about calls, messages and web names.

What comes in is one report with a receipt; reports of the same subject are one matter. A report marks its number
(`kernel.marks`), so that rules read it within a second; a matter opens a case (`kernel.cases`) by a rule that is data,
and what becomes of the case is what the receipt tells.
"""
