# The tag by which longjmp's exceptions are known: C has no way to define one.
	.globl	__c_longjmp
	.tagtype	__c_longjmp i32
__c_longjmp:
