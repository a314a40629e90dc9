/* A program without a model. */
int main(void)
{
    return 0;
}
